import { expect, test } from "vitest";
import type { TestReport } from "../../actions/machine/test-machine.ts";
import { junit, showTest } from "./vm-test.ts";
import { renderTest } from "./vm-test-html.ts";

const report: TestReport = {
  disk: "a<b>.raw",
  digest: "ab".repeat(64),
  accelerator: "KVM",
  checks: [{ name: "boot", title: "boot", status: "holds", detail: "up in 20 s", seconds: 20 }],
  tampering: [
    {
      name: "object",
      title: "one bit of a file's object",
      status: "holds",
      detail: `reading gives "EIO"`,
      seconds: 21,
    },
    { name: "meta", title: "a meta.json", status: "not-tried", code: "machine.tamper.no-meta", detail: "no meta.json" },
  ],
  holds: true,
};
const broken: TestReport = {
  ...report,
  holds: false,
  checks: [{ name: "usr", title: "/usr", status: "broken", code: "seal.usr.writable", detail: "can be written" }],
};

test("showTest() has a line a check, the cause of what is broken, and the verdict's exit status", () => {
  expect(showTest(report)).toMatchObject({ exitCode: 0, json: report });
  expect(showTest(report).text).toContain("ok    object               one bit of a file's object: reading gives");
  const { exitCode, text } = showTest(broken);
  expect(exitCode).toBe(80);
  expect(text).toContain(
    "FAIL  /usr                 can be written\n                           cause: seal.usr.writable",
  );
});

test("junit() counts failures and skips what was not tried", () => {
  const xml = junit(broken);
  expect(xml).toContain(`<testsuite name="a&lt;b>.raw: seal" tests="1" failures="1">`);
  expect(xml).toContain(`<failure type="seal.usr.writable" message="can be written"/>`);
  expect(xml).toContain(`<skipped message="no meta.json"/>`);
});

test("renderTest() tells the verdict, what was found and what was tried", () => {
  expect(renderTest(report)).toContain("The seal holds, and none of 1 changes got through.");
  const page = renderTest(broken);
  expect(page).toContain("The seal does not hold: 1 of 2 checks are broken.");
  expect(page).toContain("<code>seal.usr.writable</code>");
  expect(page).toContain("a&lt;b&gt;.raw");
});
