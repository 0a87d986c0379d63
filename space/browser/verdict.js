// A score -> its verdict and sentence, by the thresholds and the sentences that Python wrote to model/verdicts.json.
export function verdictOf(score, { thresholds, ...sentences }) {
  const band = [thresholds.real_below, thresholds.fake_from];
  const verdict = score >= band[1] ? "fake" : score < band[0] ? "real" : "uncertain";
  const leaning = score >= thresholds.decision ? "fake" : "real";
  const kind = verdict === "uncertain" ? `uncertain, ${leaning}` : verdict;
  return { score, band, verdict, sentence: sentences[kind][rounded(score)] };
}

// What a score is called in a sentence: two decimals, and never certain.
function rounded(score) {
  return score > 0.99 ? "above 0.99" : score < 0.01 ? "below 0.01" : score.toFixed(2);
}
