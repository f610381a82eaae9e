/**
 * The product's error shape as the page sees it. Every failed request becomes an `ApiError`,
 * whatever went wrong below it; `describeError` turns one into the words shown to people.
 */

export interface ErrorBody {
  error?: string;
  message?: string;
  details?: unknown;
  request_id?: string;
}

export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly code: string,
    readonly status: number,
    message: string,
    readonly requestId: string | null = null,
    readonly details: unknown = null,
    readonly retryAfterS: number | null = null,
  ) {
    super(message);
  }

  /** Neither the person's doing nor a passing state: worth telling the request's id. */
  get isUnexpected(): boolean {
    return this.status >= 500 && this.status !== 503;
  }

  get isOffline(): boolean {
    return this.status === 0;
  }
}

/** Builds the error for an answer that was not successful; `body` may be anything. */
export function readError(status: number, body: unknown, headers: Headers): ApiError {
  const shape: ErrorBody = typeof body === "object" && body !== null ? (body as ErrorBody) : {};
  const retryAfter = Number(headers.get("retry-after"));
  return new ApiError(
    typeof shape.error === "string" ? shape.error : `http_${status}`,
    status,
    typeof shape.message === "string" ? shape.message : describeStatus(status),
    shape.request_id ?? headers.get("x-request-id"),
    shape.details ?? null,
    Number.isFinite(retryAfter) && retryAfter > 0 ? retryAfter : null,
  );
}

function describeStatus(status: number): string {
  if (status === 404) return "There is nothing here.";
  if (status === 413) return "This is larger than the server takes.";
  if (status === 429) return "Too many requests; wait a little.";
  if (status >= 500) return "Something went wrong on our side.";
  return "The server refused this.";
}

/** One sentence for a person, with the request's id when somebody may have to look it up. */
export function describeError(error: unknown): string {
  if (error instanceof ApiError) {
    const wait = error.status === 429 && error.retryAfterS ? ` Try again in ${error.retryAfterS} s.` : "";
    const request = error.isUnexpected && error.requestId ? ` (request ${error.requestId})` : "";
    return `${error.message}${wait}${request}`;
  }
  if (error instanceof Error && error.message) return error.message;
  return "Something went wrong.";
}

/** The refusal of one named field, when the answer says which field it was about. */
export function findFieldError(error: unknown, field: string): string | null {
  if (!(error instanceof ApiError) || error.details === null) return null;
  if (error.code === `${field}_taken`) return error.message;
  const list = (error.details as { fields?: unknown }).fields;
  if (Array.isArray(list)) {
    for (const entry of list as { field?: string; problem?: string }[]) {
      if (entry.field === field) return entry.problem ?? error.message;
    }
  }
  return null;
}
