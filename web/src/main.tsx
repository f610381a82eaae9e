/** Starts the page: styles, listeners, the first render, and a fresh look at who is logged in. */
import { render } from "preact";
import "./look/tokens.css";
import "./look/base.css";
import { refreshProfile } from "./accounts/me";
import { followAttention, followSession } from "./kit/realtime";
import { followLinks } from "./kit/router";
import { followOtherTabs } from "./kit/session";
import { App } from "./shell/app";

followLinks();
followOtherTabs();
followSession();
followAttention();
void refreshProfile();

const root = document.getElementById("app");
if (root) render(<App />, root);
