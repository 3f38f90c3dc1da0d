import { expect, test } from "vitest";
import { entry, layer } from "../../../test/layers.ts";
import { treeFromLayers } from "../tree/apply.ts";
import { type Component, findComponents } from "./components.ts";
import { estimateChanges, signComponents } from "./history.ts";

const DAY = 86_400n;

const component = (name: string, age: bigint, intervalDays?: number): Component => ({
  name,
  entries: [],
  size: 1,
  newest: 2_000_000_000n - age * DAY,
  ...(intervalDays === undefined ? {} : { intervalDays }),
});

const build = (values: Readonly<Record<string, string>>) => new Map(Object.entries(values));

test("estimateChanges() tells what the build made from what came as it was, and takes a component's own word", () => {
  const components = [
    component("made", 0n),
    component("weekly", 0n, 7),
    component("young", 3n),
    component("old", 700n),
    component("yearly", 0n, 365),
    component("daily", 700n, 1),
  ];
  const changes = estimateChanges(components, [build({})]);
  expect([...changes].map(([name, p]) => [name, Math.round(100 * p)])).toEqual([
    ["made", 90],
    ["weekly", 63],
    ["young", 5],
    ["old", 5],
    ["yearly", 2],
    ["daily", 98],
  ]);
});

test("estimateChanges() believes builds more than times", () => {
  const components = [component("new", 0n), component("old", 700n), component("late", 0n)];
  const builds = [
    build({ new: "1", old: "4", late: "1" }),
    build({ new: "1", old: "3", late: "1" }),
    build({ new: "1", old: "2" }),
    build({ new: "1", old: "1" }),
  ];
  const changes = estimateChanges(components, builds);
  expect(changes.get("new")).toBeCloseTo(0.9 / 4, 2);
  expect(changes.get("old")).toBeCloseTo(3.05 / 4, 2);
  // One step in which it stayed; what was before it came says nothing.
  expect(changes.get("late")).toBeCloseTo(0.9 / 2, 2);
});

test("signComponents() tells content, owner, time and links apart, and not where the bytes are", () => {
  const sign = (...entries: Parameters<typeof layer>) => {
    const tree = treeFromLayers([layer(entry.dir("usr"), ...entries)]);
    return signComponents(findComponents(tree, new Map()).components).get("tree/usr");
  };
  const signatures = [
    sign(entry.file("usr/a", "x")),
    sign(entry.file("usr/a", "y")),
    sign(entry.file("usr/a", "x", { uid: 1 })),
    sign(entry.file("usr/a", "x", { mtimeNsec: 1 })),
    sign(entry.file("usr/a", "x"), entry.link("usr/b", "usr/a")),
    sign(entry.file("usr/a", "x"), entry.file("usr/b", "x")),
  ];
  expect(new Set(signatures).size).toBe(signatures.length);
  expect(sign(entry.file("usr/b", "x"), entry.file("usr/a", "x"))).toBe(signatures.at(-1));
});
