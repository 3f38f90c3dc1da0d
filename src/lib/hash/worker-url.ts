/**
 * The program of a worker that lies beside a module, as `.ts` when the module runs from source and as `.js` when it was
 * compiled: `tsc` rewrites import specifiers, but not URLs.
 *
 * @param name file name without extension
 * @param importMetaUrl `import.meta.url` of the module
 */
export function workerUrl(name: string, importMetaUrl: string): URL {
  return new URL(`${name}${importMetaUrl.endsWith(".ts") ? ".ts" : ".js"}`, importMetaUrl);
}
