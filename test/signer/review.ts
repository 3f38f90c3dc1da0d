/** A review as that of a real image looks, made up. */
import type { ReviewView } from "../../src/model/signing-service/index.ts";

export const FULL_REVIEW: ReviewView = {
  reviewedAt: "2026-11-21T12:00:00Z",
  verdicts: [
    { rule: "repositories", holds: true, detail: "registry.example/os is allowed by registry.example/*" },
    { rule: "kernel arguments", holds: true, detail: "console=ttyS0 is there" },
    { rule: "version", holds: true, detail: "2026.47 follows 2026.46" },
    { rule: "approvals", holds: true, detail: "2 of alice, bob and carol" },
  ],
  lint: [
    {
      level: "warning",
      name: "var-log",
      code: "lint.var-log",
      message: "found files in /var/log",
      paths: ["/var/log/apt/history.log", "/var/log/dpkg.log"],
    },
  ],
  diff: {
    before: `sha256:${"3f".repeat(32)}`,
    beforeName: "registry.example/os:2026.46",
    sections: [
      {
        title: "Privileges",
        summary: "1 added",
        rows: [{ mark: "+", cells: ["/usr/bin/fusermount3", "4755 root:root", "set-uid root"] }],
        omitted: 0,
      },
      {
        title: "Units",
        summary: "1 added, 1 changed",
        rows: [
          { mark: "+", cells: ["telemetry.service", "enabled by multi-user.target.wants"] },
          { mark: "~", cells: ["sshd.service", "/usr/lib/systemd/system/sshd.service"] },
        ],
        omitted: 0,
      },
      { title: "Kernel arguments", summary: "", rows: [], omitted: 0 },
      {
        title: "Packages",
        summary: "1 added, 2 upgraded",
        rows: [
          { mark: "+", cells: ["fuse3", "", "3.17.2-3"] },
          { mark: "~", cells: ["libssl3t64", "3.5.1-1", "3.5.4-1"] },
          { mark: "~", cells: ["linux-image-amd64", "6.12.48-1", "6.12.57-1"] },
        ],
        omitted: 0,
      },
      {
        title: "Files",
        summary: "120 changed, 40 added",
        rows: Array.from({ length: 20 }, (_, index) => ({
          mark: "~" as const,
          cells: [`/usr/lib/modules/6.12.57/kernel/drivers/net/driver-${index}.ko.zst`, "content"],
        })),
        omitted: 140,
      },
    ],
  },
};
