// Bundles the islands, once for each framework: node build.mjs FOLDER. In the bundles the listings'
// import of "@clerk/astro/client" is left as it is, and the page's import map resolves it.
import { readFile } from "node:fs/promises";
import * as esbuild from "esbuild";
import { compile } from "svelte/compiler";
import { compileScript, parse } from "vue/compiler-sfc";

const [folder] = process.argv.slice(2);

const svelte = {
  name: "svelte",
  setup: (build) =>
    build.onLoad({ filter: /\.svelte$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      return { contents: compile(source, { filename: path, generate: "client" }).js.code };
    }),
};

const vue = {
  name: "vue",
  setup: (build) =>
    build.onLoad({ filter: /\.vue$/ }, async ({ path }) => {
      const { descriptor } = parse(await readFile(path, "utf8"), { filename: path });
      const options = { id: path, inlineTemplate: true };
      return { contents: compileScript(descriptor, options).content };
    }),
};

// The listing exports nothing.
const header = {
  name: "header",
  setup: (build) =>
    build.onLoad({ filter: /header\.jsx$/ }, async ({ path }) => {
      return { contents: `${await readFile(path, "utf8")}export { Header };`, loader: "jsx" };
    }),
};

const island = (name, options = {}) =>
  esbuild.build({
    entryPoints: { [name]: `islands/${name.replace("-18", "")}.js` },
    outdir: folder,
    bundle: true,
    format: "esm",
    jsx: "automatic",
    conditions: ["browser", "production"],
    define: {
      "process.env.NODE_ENV": '"production"',
      "import.meta.env": "{}",
      __VUE_OPTIONS_API__: "true",
      __VUE_PROD_DEVTOOLS__: "false",
      __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false",
    },
    external: ["@clerk/astro/client"],
    logLevel: "warning",
    ...options,
  });

// The listing of user-button.tsx uses useStore without an import.
const inject = ["islands/use-store.js"];
const react18 = { react: "react-18", "react-dom": "react-dom-18" };
await Promise.all([
  island("react", { inject }),
  island("react-18", { inject, alias: react18 }),
  island("vue", { plugins: [vue] }),
  island("svelte", { plugins: [svelte] }),
  island("clerk-react", { external: [], plugins: [header] }),
  island("clerk-astro", { external: [] }),
]);
