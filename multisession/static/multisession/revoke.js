// Sends the next step of a large revocation as soon as the last one has answered. Without this
// script, a person presses Continue.
(() => {
  const next = () => {
    const form = document.querySelector("[data-multisession-revoking]");
    if (form) send(form);
  };

  const send = async (form) => {
    const button = form.querySelector("[type=submit]");
    button.hidden = true;
    try {
      const body = new URLSearchParams(new FormData(form));
      const answer = await fetch(location.href, { method: "POST", body, redirect: "manual" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const step = page.getElementById("ms-revoking");
      if (!step) throw new Error(`answered ${answer.status}`);
      document.getElementById("ms-revoking").replaceChildren(...step.childNodes);
      next();
    } catch {
      button.hidden = false;
      document.querySelector("[data-multisession-failed]").hidden = false;
    }
  };

  next();
})();
