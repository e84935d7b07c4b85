/** Ages are told by the server's clock: the reader's own may be minutes off. */
export class ServerClock {
  #offset = 0

  /**
   * Learns from a response's Date header, which is cut to whole seconds: the server's time at some instant
   * between `sent` and `received` (ms) lay in [date, date + 1 s).
   */
  observe(date: string | null, sent: number, received: number): void {
    const second = date === null ? Number.NaN : Date.parse(date)
    if (Number.isNaN(second)) return
    const lowest = second - received
    const highest = second + 1000 - sent
    if (this.#offset < lowest) this.#offset = lowest
    else if (this.#offset > highest) this.#offset = highest
  }

  now(): number {
    return Date.now() + this.#offset
  }
}
