import { defineConfig } from "vite";

export default defineConfig({
  publicDir: false,
  build: {
    lib: { entry: new URL("clients.js", import.meta.url).pathname, formats: ["es"], fileName: "clients" },
    minify: false,
  },
  define: { "process.env.NODE_ENV": '"production"' },
});
