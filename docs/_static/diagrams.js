// Draws what stands in <pre class="mermaid">. Without JavaScript the text stays, which can be read.
mermaid.initialize({
  startOnLoad: false,
  securityLevel: "strict",
  theme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "neutral",
});
mermaid.run({ querySelector: "pre.mermaid" });
