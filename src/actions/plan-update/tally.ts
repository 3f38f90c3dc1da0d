/** Findings in the words of the report. */
import { type ByteString, showByteString } from "../../lib/bytes/byte-string.ts";
import type { Image } from "../../model/image/image.ts";
import type { TreeSource } from "../../model/source/tree-source.ts";
import type { MeasuredPair } from "./measure.ts";
import type { StoredObject, TreeFiles } from "./objects.ts";
import type { Amount, ComponentUpdate, FileUpdate, LayersReport, Measured, UpdateSide } from "./report.ts";

export function describeSide({ image, name }: TreeSource, { objects }: TreeFiles): UpdateSide {
  return {
    source: name,
    ...(image && { manifestDigest: image.manifestDigest, layerSize: sum(image.layers, ({ size }) => size) }),
    objectSize: amountOf([...objects.values()]).size,
  };
}

/** By blob digest: a registry knows nothing else. A blob that the image has twice is fetched once. */
export function compareLayers(held: Image, wanted: Image): LayersReport {
  const has = new Set<string>(held.layers.map(({ digest }) => digest));
  const list = [...new Map(wanted.layers.map((layer) => [layer.digest, layer])).values()].map((layer) => ({
    digest: layer.digest,
    size: layer.size,
    fetched: !has.has(layer.digest),
    ...(layer.createdBy === undefined ? {} : { createdBy: layer.createdBy }),
  }));
  return { total: amountOf(list), fetched: amountOf(list.filter(({ fetched }) => fetched)), list };
}

export function describeFile(
  { path, size }: StoredObject,
  measured: MeasuredPair | undefined,
  componentOf: (path: ByteString) => string,
): FileUpdate {
  const { base, compressed = null, delta = null } = measured ?? {};
  const component = componentOf(path);
  return { path: show(path), component, size, compressed, delta, base: base === undefined ? null : show(base.path) };
}

const show = (path: ByteString): string => `/${showByteString(path)}`;

/** What a thing costs in the way that costs least. */
const costOf = ({ delta, size }: Measured): number => delta ?? size;
export const mostFirst = (a: Measured, b: Measured): number => costOf(b) - costOf(a) || b.size - a.size;

export function sumByComponent(files: readonly FileUpdate[]): ComponentUpdate[] {
  const groups = Map.groupBy(files, ({ component }) => component);
  return [...groups]
    .map(([name, own]) => ({
      name,
      files: own.length,
      size: sum(own, ({ size }) => size),
      compressed: sumOrNull(own, ({ compressed }) => compressed),
      delta: sumOrNull(own, ({ delta }) => delta),
    }))
    .sort(mostFirst);
}

export const amountOf = (things: readonly { readonly size: number }[]): Amount => ({
  count: things.length,
  size: sum(things, ({ size }) => size),
});

export const sum = <T>(things: readonly T[], valueOf: (thing: T) => number): number =>
  things.reduce((total, thing) => total + valueOf(thing), 0);

function sumOrNull<T>(things: readonly T[], valueOf: (thing: T) => number | null): number | null {
  return things.reduce<number | null>((total, thing) => {
    const value = valueOf(thing);
    return total === null || value === null ? null : total + value;
  }, 0);
}
