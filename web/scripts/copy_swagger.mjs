/**
 * Copies the two Swagger UI files that /docs needs into dist/swagger, so that no address outside
 * this server is ever asked. Run by `npm run build` after Vite.
 */
import { copyFile, mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const packageFolder = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
const target = join(dirname(fileURLToPath(import.meta.url)), "..", "dist", "swagger");

await mkdir(target, { recursive: true });
for (const name of ["swagger-ui.css", "swagger-ui-bundle.js", "LICENSE"]) {
  await copyFile(join(packageFolder, name), join(target, name));
}
console.log("dist/swagger: swagger-ui.css, swagger-ui-bundle.js, LICENSE");
