import { dropToken, keepToken, readToken } from '@/lib/token'

/** Who is signed in, or why nobody is. */
export type SessionState = { token: string | null; notice: string | null }

/** Session holds the token of this tab. It ends at the reader's wish, or at the server's word. */
export class Session {
  #state: SessionState = { token: readToken(), notice: null }
  #listeners = new Set<() => void>()

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  state = (): SessionState => this.#state

  begin(token: string): void {
    keepToken(token)
    this.#set({ token, notice: null })
  }

  end(notice: string | null): void {
    dropToken()
    this.#set({ token: null, notice })
  }

  #set(state: SessionState): void {
    this.#state = state
    for (const listener of this.#listeners) listener()
  }
}
