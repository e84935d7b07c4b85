import { Code, ConnectError } from '@connectrpc/connect'

/** Answers that the same call will get again: asking each second would change nothing. */
const final = new Set([
  Code.InvalidArgument,
  Code.NotFound,
  Code.AlreadyExists,
  Code.PermissionDenied,
  Code.Unauthenticated,
  Code.FailedPrecondition,
  Code.OutOfRange,
  Code.Unimplemented,
])

export function isTransient(error: unknown): boolean {
  return !final.has(ConnectError.from(error).code)
}

export function isUnauthenticated(error: unknown): boolean {
  return ConnectError.from(error).code === Code.Unauthenticated
}

/** Whether nobody answered at all: the network, or a process that is gone. */
export function isUnanswered(error: unknown): boolean {
  return ConnectError.from(error).cause instanceof TypeError
}

/** The server's own words where it answered; otherwise that it did not. */
export function words(error: unknown): string {
  const e = ConnectError.from(error)
  if (isUnanswered(e)) return 'No answer from the control plane.'
  if (e.code === Code.DeadlineExceeded) return 'The control plane took too long to answer.'
  return sentence(e.rawMessage) || 'The control plane refused without a reason.'
}

function sentence(text: string): string {
  const trimmed = text.trim()
  if (trimmed === '') return ''
  const capital = trimmed.charAt(0).toUpperCase() + trimmed.slice(1)
  return /[.!?]$/.test(capital) ? capital : `${capital}.`
}
