import { openSync } from "node:fs";
import { ReadStream, WriteStream } from "node:tty";
import { InterruptedError } from "../lib/errors.ts";
import type { AskSecret } from "../model/signing/index.ts";

const CTRL_C = "\u0003";
const CTRL_D = "\u0004";
const CTRL_U = "\u0015";
const BACKSPACES = ["\b", "\u007f"];

/**
 * Asks on the terminal and shows nothing of what is typed. The terminal is asked itself, so that standard input and
 * output can be pipes.
 *
 * @returns nothing when there is no terminal, or when the answer is empty
 */
export function askOnTerminal(beforeAsking: () => void, signal: AbortSignal): AskSecret {
  return async ({ kind, opens }) => {
    const terminal = openTerminal();
    if (terminal === undefined) return undefined;
    beforeAsking();
    const { input, output } = terminal;
    const question = kind === "PIN" ? "PIN" : "Passphrase";
    try {
      // Raw mode turns the echo off, so it comes before anybody is asked to type.
      input.setRawMode(true);
      output.write(`${question} of ${opens}: `);
      const answer = await readLine(input, signal);
      return answer === "" ? undefined : answer;
    } finally {
      input.setRawMode(false);
      output.write("\n");
      input.destroy();
      output.destroy();
    }
  };
}

function openTerminal(): { input: ReadStream; output: WriteStream } | undefined {
  try {
    return { input: new ReadStream(openSync("/dev/tty", "r")), output: new WriteStream(openSync("/dev/tty", "w")) };
  } catch {
    return undefined; // a process without a terminal: ENXIO
  }
}

/** Line editing is ours in raw mode. */
function readLine(input: ReadStream, signal: AbortSignal): Promise<string> {
  input.setEncoding("utf8");
  return new Promise((resolve, reject) => {
    let typed: string[] = [];
    const end = (finish: () => void): void => {
      signal.removeEventListener("abort", interrupt);
      finish();
    };
    const interrupt = (): void => end(() => reject(new InterruptedError()));
    signal.addEventListener("abort", interrupt);
    // A terminal that is gone answers nothing.
    input.once("error", () => end(() => resolve("")));
    input.once("end", () => end(() => resolve("")));
    input.on("data", (chunk: string) => {
      for (const character of chunk) {
        if (character === CTRL_C) return interrupt();
        if (character === "\r" || character === "\n" || character === CTRL_D) return end(() => resolve(typed.join("")));
        if (BACKSPACES.includes(character)) typed.pop();
        else if (character === CTRL_U) typed = [];
        else typed.push(character);
      }
    });
  });
}
