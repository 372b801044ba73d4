/// <reference types="vitest/config" />
import type { Plugin } from "vite";
import { defineConfig, transformWithEsbuild } from "vite";

/** Vite keeps the white space of a library's ES module; here nobody bundles it again. */
const shrink: Plugin = {
  name: "shrink",
  async generateBundle(_, bundle) {
    for (const chunk of Object.values(bundle)) {
      if (chunk.type !== "chunk") continue;
      const made = await transformWithEsbuild(chunk.code, chunk.fileName, {
        ...{ minify: true, target: "es2022", format: "esm", sourcemap: false, legalComments: "none", charset: "utf8" },
      });
      chunk.code = made.code;
    }
  },
};

// One ES module and nothing beside it, for the package: `npm ci && npm run build` gives the committed bytes.
export default defineConfig({
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none", charset: "utf8" },
  define: { "process.env.NODE_ENV": '"production"' },
  plugins: [shrink],
  build: {
    target: "es2022",
    outDir: "../src/adjoint/view",
    emptyOutDir: false,
    copyPublicDir: false,
    lib: { entry: "src/main.ts", formats: ["es"], fileName: () => "viewer.js" },
    sourcemap: false,
  },
  test: { include: ["tests/**/*.test.ts"], environment: "node" },
});
