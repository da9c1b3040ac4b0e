// Draws what stands in <pre class="mermaid">. Without JavaScript the text stays, which can be read.
const chosen = document.body.dataset.theme; // Furo's: "light", "dark" or "auto"
const isDark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
mermaid.initialize({
  startOnLoad: false,
  securityLevel: "strict",
  theme: isDark ? "dark" : "neutral",
  sequence: { actorMargin: 16, width: 110, actorFontSize: 18, messageFontSize: 18, mirrorActors: false },
});
mermaid.run({ querySelector: "pre.mermaid" });
