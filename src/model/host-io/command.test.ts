import { expect, test } from "vitest";
import { runCommand, startCommand } from "./command.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

test("runCommand() passes arguments as they are and gives stdout back", async () => {
  const { stdout, stderr } = await runCommand(["printf", "%s|", "a b", "$HOME", "*", "'"]);
  expect(text(stdout)).toBe("a b|$HOME|*|'|");
  expect(stderr).toBe("");
});

test("runCommand() feeds stdin, sets directory and environment", async () => {
  const bytes = Buffer.alloc(1 << 20, 0xff);
  expect((await runCommand(["cat"], { stdin: bytes })).stdout).toEqual(bytes);
  const { stdout } = await runCommand(["/bin/sh", "-c", "pwd; echo $A-$HOME"], { cwd: "/", env: { A: "b" } });
  expect(text(stdout)).toBe("/\nb-\n");
});

test("runCommand() does not mind a program that does not read its stdin", async () => {
  await expect(runCommand(["true"], { stdin: Buffer.alloc(1 << 20) })).resolves.toMatchObject({ stderr: "" });
});

test.each([
  [["no-such-program-here"], "command.not-found", /"no-such-program-here": program not found/],
  [["sh", "-c", "echo why >&2; exit 3"], "command.failed", /"sh": exit status 3: why$/],
  [["sh", "-c", "kill -9 $$"], "command.killed", /"sh": ended by SIGKILL$/],
] as const)("runCommand(%j) refuses with %s", async (argv, code, message) => {
  const error = expect.objectContaining({ code, exitCode: 71, message: expect.stringMatching(message) as string });
  await expect(runCommand([...argv])).rejects.toThrow(error);
});

test("runCommand() keeps the end of a long stderr", async () => {
  const script = "i=0; while [ $i -lt 2000 ]; do echo line $i >&2; i=$((i+1)); done; exit 1";
  const error = await runCommand(["sh", "-c", script]).catch((caught: unknown) => caught as Error);
  expect((error as Error).message).toMatch(/line 1999$/);
  expect((error as Error).message.length).toBeLessThan(9000);
});

test("runCommand() ends the program when it is interrupted", async () => {
  const stop = new AbortController();
  const sleeping = runCommand(["sleep", "60"], { signal: stop.signal });
  setTimeout(() => stop.abort(), 20);
  await expect(sleeping).rejects.toMatchObject({ code: "interrupted" });
  await expect(runCommand(["true"], { signal: stop.signal })).rejects.toMatchObject({ code: "interrupted" });
});

test("startCommand() streams, and ends what was left running", async () => {
  const started = Date.now();
  {
    await using command = startCommand(["yes"]);
    for await (const chunk of command.stdout) {
      expect(text(chunk).startsWith("y\ny\n")).toBe(true);
      break;
    }
  }
  expect(Date.now() - started).toBeLessThan(5000);
});
