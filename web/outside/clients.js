/**
 * WHIP and WHEP clients that others wrote, as one file for a page on another origin: the tests let them talk to the
 * product (tests/e2e/test_outside_clients.py).
 */
export { WHIPClient as EyevinnPublisher } from "@eyevinn/whip-web-client";
export { WebRTCPlayer as EyevinnPlayer } from "@eyevinn/webrtc-player";
export { WHEPClient as MedoozePlayer } from "whip-whep/whep.js";
export { WHIPClient as MedoozePublisher } from "whip-whep/whip.js";
