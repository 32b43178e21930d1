// web/src -> web/dist: what executive-jr serves. node build.mjs [OUT]; the same bytes on every machine.
import { build } from "esbuild";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] || join(here, "dist");
const src = (name) => join(here, "src", name);

mkdirSync(out, { recursive: true });
await build({
	absWorkingDir: here,
	entryPoints: ["app.js", "docs.js", "theme.js", "style.css"].map((name) => `src/${name}`),
	outdir: out,
	bundle: true,
	minify: true,
	format: "iife",
	target: ["chrome109", "firefox115", "safari16.4"],
	charset: "utf8",
	legalComments: "inline",
	logLevel: "warning",
});
for (const name of ["index.html", "docs.html", "icon.svg"]) copyFileSync(src(name), join(out, name));
// MIT: the notice goes where the code goes
const licence = readFileSync(join(here, "node_modules/uplot/LICENSE"), "utf8").trim();
writeFileSync(join(out, "app.js"), `/*! with uPlot:\n${licence}\n*/\n${readFileSync(join(out, "app.js"), "utf8")}`);
// one end of line for each file, so that tools that read lines see the last one
for (const name of ["app.js", "docs.js", "theme.js", "style.css"]) writeFileSync(join(out, name), readFileSync(join(out, name), "utf8").trimEnd() + "\n");
