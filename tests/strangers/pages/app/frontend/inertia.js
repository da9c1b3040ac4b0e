// One Inertia page: a form, and a visit that is made again and again.
import { createInertiaApp, router, useForm } from "@inertiajs/vue3";
import { createApp, h, ref } from "vue";

const Notes = {
  props: { last: String },
  setup(props) {
    const form = useForm({ text: "" });
    const error = ref("");
    router.on("httpException", (event) => {
      const { status } = event.detail.response;
      error.value = status < 400 ? "Your session has expired" : `Not saved (${status})`;
      // Where the sign-in page came in place of an answer there is nothing to look at.
      if (status < 400) event.preventDefault();
    });
    const save = () => form.post("/inertia/", { onSuccess: () => (error.value = "") });
    return () => [
      h("form", { onSubmit: (event) => (event.preventDefault(), save()) }, [
        h("input", {
          id: "text",
          "aria-label": "Text",
          value: form.text,
          onInput: (event) => (form.text = event.target.value),
        }),
        h("button", { id: "save" }, "Save"),
      ]),
      h("output", { id: "status" }, props.last ? `Saved: ${props.last}` : ""),
      h("p", { id: "error" }, error.value),
    ];
  },
};

createInertiaApp({
  resolve: () => Notes,
  http: { xsrfCookieName: "csrftoken", xsrfHeaderName: "X-CSRFToken" },
  setup: ({ el, App, props, plugin }) =>
    createApp({ render: () => h(App, props) })
      .use(plugin)
      .mount(el),
});

setInterval(
  () => router.post("/inertia/", { text: "ping" }, { async: true, preserveState: true, preserveScroll: true }),
  300,
);
