/** The client of the upload protocol, a chunk of its own: loaded with the first upload. */
export const loadTus = () => import("tus-js-client");
