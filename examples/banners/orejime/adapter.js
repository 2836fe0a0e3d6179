//! Hands what the visitor chose in Orejime to the edge. It must never hand over what the banner
//! only remembers: somebody who withdrew elsewhere would be brought back by it.

/* global selvedge */

/** Which version of the texts below the visitor saw; the receipt names it. */
const BANNER = "shop-banner-4";

const tag = window.selvedge
  ? Promise.resolve()
  : new Promise((resolve) => {
      document.addEventListener("selvedge:ready", resolve, { once: true });
    });

async function handOver(manager) {
  const yes = (purpose) => manager.getConsent(purpose) === true;
  const choices = {
    store: yes("personalisation") || yes("measurement") || yes("advertising"),
    profile: yes("personalisation"),
    personalise: yes("personalisation"),
    measure: yes("measurement"),
    share: yes("advertising"),
  };
  await tag;
  await selvedge.consent(choices, { banner: BANNER });
}

window.orejimeConfig = {
  privacyPolicyUrl: "/privacy",
  purposes: [
    {
      id: "personalisation",
      title: "Offers for you",
      description: "What you look at is remembered.",
    },
    { id: "measurement", title: "Counting visits", description: "How often offers are seen." },
    { id: "advertising", title: "Advertising elsewhere", description: "Others may know of it." },
  ],
};

document.addEventListener("orejime.loaded", ({ detail: { manager, prompt } }) => {
  manager.on("update", () => handOver(manager));
  document.getElementById("privacy").addEventListener("click", () => prompt());
});
