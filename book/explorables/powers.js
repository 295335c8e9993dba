// Powers of ten, as a logarithmic axis has them.

/** 10 to a power, as text writes it. */
export function powerOfTen(power) {
  const raised = [...String(power)].map((sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]);
  return power ? `10${raised.join("")}` : "1";
}
