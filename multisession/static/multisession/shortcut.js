// howto/user-button: a keyboard shortcut for the previous account
addEventListener("keydown", (event) => {
  const button = document.querySelector("[data-multisession-shortcut]");
  const { target, code, ctrlKey, altKey, shiftKey, metaKey } = event;
  if (!button || event.repeat || event.isComposing || event.defaultPrevented) return;
  if (target.isContentEditable || target.closest?.("input, select, textarea, dialog")) return;
  const keys = [ctrlKey && "Control", altKey && "Alt", shiftKey && "Shift", metaKey && "Meta", code];
  if (keys.filter(Boolean).join("+") != button.dataset.multisessionShortcut) return;
  event.preventDefault();
  button.open = true;
  // The list of accounts may still be on its way. Whoever closes the menu meanwhile stays.
  const go = () => {
    const row = button.querySelector("[data-multisession-previous]");
    if (!row && button.open) return;
    seen.disconnect();
    if (button.open) row.querySelector("a, button").click();
  };
  const seen = new MutationObserver(go);
  seen.observe(button, { attributes: true, childList: true, subtree: true });
  go();
});
