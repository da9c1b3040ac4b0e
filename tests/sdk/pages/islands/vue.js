import { createApp, h, version } from "vue";
import Session from "../listings/session.vue";
import UserButton from "../listings/user-button.vue";

document.documentElement.dataset.version = version;
createApp(() => [h(UserButton), h(Session)]).mount("#island");
