// A sign-in leads to the provider and back to the first page. A link that was followed before (to a queue, a sample, another
// page) is kept in the tab and followed once more when somebody is signed in.

const KEPT = "fer-come-back";

export default function ({ data }) {
  const here = location.pathname + location.search;
  if (!data.signed_in) {
    if (here !== "/") sessionStorage.setItem(KEPT, here);
    return;
  }
  const kept = sessionStorage.getItem(KEPT);
  sessionStorage.removeItem(KEPT);
  if (kept !== null && here === "/") location.replace(location.origin + kept);
}
