// What somebody thinks of a finding, as the server keeps it.

import { path, send } from "../../data/api.js";

const to = (useCase, id) => path(useCase, "anomalies", id, "feedback");

export const give = (useCase, id, feedback) => send("POST", to(useCase, id), feedback);
export const takeBack = (useCase, id) => send("DELETE", to(useCase, id));

/** Acknowledges an anomaly, or takes that back. */
export async function acknowledge(useCase, anomaly) {
  if (anomaly.feedback?.verdict === "acknowledged") {
    await takeBack(useCase, anomaly.id);
    return null;
  }
  return give(useCase, anomaly.id, { verdict: "acknowledged", scope: "this" });
}
