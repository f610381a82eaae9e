/** Refusals in words. */
import { expect, test } from "vitest";
import { ApiError, describeError, findFieldError, readError } from "./errors";

const body = {
  error: "malformed_request",
  message: "The request is not in the expected form.",
  request_id: "r1",
  details: {},
};

test("a refusal of the product keeps its code, words and request id", () => {
  expect(readError(422, body, new Headers())).toMatchObject({
    code: "malformed_request",
    status: 422,
    requestId: "r1",
  });
});

test("an answer of somebody else still becomes an error", () => {
  expect(readError(502, undefined, new Headers({ "x-request-id": "r2" }))).toMatchObject({
    code: "http_502",
    requestId: "r2",
  });
});

test("only unexpected errors show the request id", () => {
  expect(describeError(new ApiError("internal_error", 500, "Our fault.", "r3"))).toBe("Our fault. (request r3)");
  expect(describeError(new ApiError("not_found", 404, "Nothing.", "r3"))).toBe("Nothing.");
});

test("a rate limit says how long to wait", () => {
  const error = readError(429, { error: "rate_limited", message: "Too many." }, new Headers({ "retry-after": "7" }));
  expect(describeError(error)).toBe("Too many. Try again in 7 s.");
});

test("a refused field gets its own words", () => {
  const fields = [{ field: "password", in: "body", problem: "10 to 200 characters" }];
  const error = readError(422, { ...body, details: { fields } }, new Headers());
  expect(findFieldError(error, "password")).toBe("10 to 200 characters");
  expect(findFieldError(error, "email")).toBeNull();
  expect(findFieldError(new ApiError("username_taken", 409, "Taken.", null, {}), "username")).toBe("Taken.");
});
