import fc from "fast-check";
import { expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { FormatError } from "../../lib/errors.ts";
import {
  encodeEnvelope,
  encodeStatement,
  parseEnvelope,
  parseStatement,
  preAuthenticate,
  provenancePredicate,
} from "./index.ts";

test("preAuthenticate() gives the bytes of the example in the DSSE specification", () => {
  const bytes = preAuthenticate("http://example.com/HelloWorld", Buffer.from("hello world"));
  expect(Buffer.from(bytes).toString()).toBe("DSSEv1 29 http://example.com/HelloWorld 11 hello world");
});

test("preAuthenticate() counts bytes, not characters", () => {
  expect(Buffer.from(preAuthenticate("é", Buffer.from("ü"))).toString()).toBe("DSSEv1 2 é 2 ü");
});

const envelope = {
  payloadType: "application/x",
  payload: Buffer.from([0, 255, 254]),
  signatures: [{ signature: Buffer.from([1, 2, 3]) }, { keyid: "k", signature: Buffer.from([4]) }],
};

test("parseEnvelope() gives back what encodeEnvelope() wrote", () => {
  expect(parseEnvelope(encodeEnvelope(envelope))).toEqual(envelope);
});

test.each([
  ["no JSON", "{"],
  ["no signature", '{"payloadType":"t","payload":"","signatures":[]}'],
  ["a payload that is no base64", '{"payloadType":"t","payload":"?","signatures":[{"sig":""}]}'],
  ["a signature that is no base64", '{"payloadType":"t","payload":"","signatures":[{"sig":"a b"}]}'],
  ["a name twice", '{"payloadType":"t","payloadType":"u","payload":"","signatures":[{"sig":""}]}'],
])("parseEnvelope() refuses %s", (_, text) => {
  expect(codeOf(() => parseEnvelope(Buffer.from(text)))).toBe("in-toto.envelope.malformed");
});

test("parseEnvelope() takes base64 of both alphabets", () => {
  const parse = (payload: string) =>
    parseEnvelope(Buffer.from(JSON.stringify({ payloadType: "t", payload, signatures: [{ sig: "" }] }))).payload;
  expect(parse("AP/+")).toEqual(parse("AP_-"));
});

const statement = encodeStatement([{ name: "os", digest: { sha256: "ab" } }], "https://example.com/p", { a: 1 });

test("parseStatement() gives back what encodeStatement() wrote", () => {
  expect(parseStatement(statement)).toEqual({
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name: "os", digest: { sha256: "ab" } }],
    predicateType: "https://example.com/p",
    predicate: { a: 1 },
  });
});

test.each([
  ["another type", '{"_type":"x","subject":[],"predicateType":"p","predicate":{}}'],
  [
    "a predicate that is no object",
    '{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"p","predicate":1}',
  ],
  [
    "a digest that is no text",
    '{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":1}}],"predicateType":"p","predicate":{}}',
  ],
])("parseStatement() refuses %s", (_, text) => {
  expect(codeOf(() => parseStatement(Buffer.from(text)))).toBe("in-toto.statement.malformed");
});

test("provenancePredicate() leaves the time out unless there is one", () => {
  const plain = { buildType: "b", parameters: {}, dependencies: [], builder: "x", builderVersion: {}, byproducts: [] };
  expect(JSON.stringify(provenancePredicate(plain))).not.toContain("metadata");
  expect(provenancePredicate({ ...plain, startedOn: new Date(1_700_000_000_000) })).toMatchObject({
    runDetails: { metadata: { startedOn: "2023-11-14T22:13:20Z" } },
  });
});

test.each([
  ["parseEnvelope", parseEnvelope, encodeEnvelope(envelope)],
  ["parseStatement", parseStatement, statement],
])("%s() answers changed bytes with a value or a FormatError", (_, parse, bytes) => {
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
      const changed = Uint8Array.from(bytes);
      changed[at] = value;
      try {
        parse(changed);
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
    { numRuns: 500 },
  );
});
