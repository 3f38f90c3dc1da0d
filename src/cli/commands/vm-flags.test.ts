import { expect, test } from "vitest";
import { parsePublish } from "./vm-flags.ts";

test.each([
  ["8080:80", { address: "127.0.0.1", host: 8080, guest: 80 }],
  ["0.0.0.0:8080:80", { address: "0.0.0.0", host: 8080, guest: 80 }],
  ["[::1]:8080:80", { address: "::1", host: 8080, guest: 80 }],
])("parsePublish() takes %s", (text, expected) => {
  expect(parsePublish(text)).toEqual(expected);
});

test.each(["80", "0:80", "80:65536", "a:b", "1:2:3:4", "", "host:80:"])("parsePublish() refuses %j", (text) => {
  expect(() => parsePublish(text)).toThrow(/form/);
});
