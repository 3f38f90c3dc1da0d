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

test("estimateChanges() takes the old for calm, and the word of a component for more than its age", () => {
  const components = [
    component("new", 0n),
    component("month", 30n),
    component("old", 700n),
    component("says", 700n, 1),
  ];
  const changes = estimateChanges(components, [build({})]);
  expect([...changes].map(([name, p]) => [name, Math.round(100 * p)])).toEqual([
    ["new", 63],
    ["month", 17],
    ["old", 1],
    ["says", 98],
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
  expect(changes.get("new")).toBeCloseTo(0.63 / 4, 2);
  expect(changes.get("old")).toBeCloseTo(3.01 / 4, 2);
  // One step in which it stayed; what was before it came says nothing.
  expect(changes.get("late")).toBeCloseTo(0.63 / 2, 2);
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
