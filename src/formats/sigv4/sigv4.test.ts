import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { vector } from "../../../test/fixtures.ts";
import { type AwsRequest, canonicalRequest, signAwsRequest } from "./index.ts";

/** From the signing test suite that AWS publishes with aws-c-auth: those for the path `/` without a query. */
interface Vector {
  readonly name: string;
  readonly request: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | null;
  readonly omitSessionToken: boolean;
  readonly region: string;
  readonly service: string;
  readonly time: string;
  readonly signBody: boolean;
  readonly canonicalRequest: string;
  readonly signature: string;
}

const vectors = JSON.parse(readFileSync(vector("sigv4/vectors.json"), "utf8")) as Vector[];

/** The suite writes requests as text; a line that starts with a blank continues the one before. */
function parseRequest({ request, signBody }: Vector): AwsRequest {
  const [head = "", body = ""] = request.split("\n\n");
  const [start = "", ...lines] = head.trimEnd().replaceAll(/\n\s+/g, " ").split("\n");
  const headers = lines.map((line): [string, string] => {
    const at = line.indexOf(":");
    return [line.slice(0, at), line.slice(at + 1)];
  });
  const hash = createHash("sha256").update(body).digest("hex");
  if (signBody) headers.push(["x-amz-content-sha256", hash]);
  return { method: start.split(" ")[0] ?? "", headers, body: Buffer.from(body) };
}

test.each(vectors)("signAwsRequest() signs as AWS does: $name", (each) => {
  const { omitSessionToken, region, service, sessionToken, time } = each;
  const request = parseRequest(each);
  const signed = signAwsRequest(
    request,
    { ...each, sessionToken: omitSessionToken || sessionToken === null ? undefined : sessionToken },
    { region, service, time: new Date(time) },
  );
  const { authorization = "", ...added } = signed;
  const all = { ...request, headers: [...request.headers, ...Object.entries(added)] };
  expect(canonicalRequest(all).text).toBe(each.canonicalRequest);
  expect(authorization.endsWith(`Signature=${each.signature}`)).toBe(true);
});

/** Signs with botocore, AWS's own implementation in Python. */
const BOTOCORE = `
import datetime, json, sys
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

class Clock(datetime.datetime):
    @classmethod
    def utcnow(cls):
        return cls(2026, 11, 21, 6, 5, 4)

botocore.auth.datetime.datetime = Clock
given = json.load(sys.stdin)
headers = dict(given["headers"])
url = "https://" + headers.pop("host") + "/"
request = AWSRequest(method="POST", url=url, data=given["body"], headers=headers)
credentials = Credentials("AKID", "secret/key+", given.get("token"))
botocore.auth.SigV4Auth(credentials, "kms", "eu-central-1").add_auth(request)
print(request.headers["Authorization"])
`;

test.each([undefined, "a session/token=="])("signAwsRequest() signs as botocore does, session token: %s", (token) => {
  const headers = {
    host: "kms.eu-central-1.amazonaws.com",
    "content-type": "application/x-amz-json-1.1",
    "x-amz-target": "TrentService.Sign",
  };
  const body = JSON.stringify({ KeyId: "alias/db", MessageType: "DIGEST", text: "ä  b" });
  const input = JSON.stringify({ headers, body, token });
  const theirs = execFileSync("/usr/bin/python3", ["-c", BOTOCORE], { input, encoding: "utf8" }).trim();
  const ours = signAwsRequest(
    { method: "POST", headers: Object.entries(headers), body: Buffer.from(body) },
    { accessKeyId: "AKID", secretAccessKey: "secret/key+", sessionToken: token },
    { region: "eu-central-1", service: "kms", time: new Date("2026-11-21T06:05:04.321Z") },
  );
  expect(ours["authorization"]).toBe(theirs);
});
