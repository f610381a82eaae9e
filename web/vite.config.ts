/** How the page is built, and where `npm run dev` finds the API it talks to. */
import { defineConfig } from "vitest/config";

const API = "http://localhost:8000";

export default defineConfig({
  build: {
    outDir: "dist",
    target: "es2022",
    sourcemap: false,
    // The policy forbids inline scripts and styles from data addresses; assets stay files.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 600,
  },
  server: {
    port: 5173,
    proxy: {
      "/v1": API,
      "/whip": API,
      "/whep": API,
      "/openapi.json": API,
      "/docs": API,
      "/swagger": API,
    },
  },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
