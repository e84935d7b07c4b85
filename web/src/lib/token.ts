const key = 'tollgate.token'

/** The token lives as long as the browser tab: no other tab, and no later visit, can read it. */
export function readToken(): string | null {
  return sessionStorage.getItem(key)
}

export function keepToken(token: string): void {
  sessionStorage.setItem(key, token)
}

export function dropToken(): void {
  sessionStorage.removeItem(key)
}

/**
 * Takes `#token=…` out of the address, so that it stays neither in the history nor in what people copy.
 * A fragment is never sent to a server.
 */
export function takeTokenFromAddress(): string | null {
  const { hash, pathname, search } = window.location
  if (!hash.startsWith('#')) return null
  const parameters = new URLSearchParams(hash.slice(1))
  const token = parameters.get('token')
  if (token === null) return null
  window.history.replaceState(window.history.state, '', pathname + search)
  return token.trim() || null
}

/** Whether a header can carry it. Anything else about a token is for the server to say. */
export function isSendable(token: string): boolean {
  return /^[\x21-\x7e]+$/.test(token)
}
