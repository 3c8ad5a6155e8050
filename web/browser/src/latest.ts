/** Work of which only the latest order counts: while one is done, of those that come in the last one waits. */
export class Latest<Order> {
  readonly #work: (order: Order) => Promise<void>;
  #waiting: { order: Order } | undefined;
  #busy = false;

  /** `work` handles its own failures: it never rejects. */
  constructor(work: (order: Order) => Promise<void>) {
    this.#work = work;
  }

  ask(order: Order): void {
    this.#waiting = { order };
    if (!this.#busy) void this.#run();
  }

  async #run(): Promise<void> {
    this.#busy = true;
    try {
      while (this.#waiting !== undefined) {
        const { order } = this.#waiting;
        this.#waiting = undefined;
        await this.#work(order);
      }
    } finally {
      this.#busy = false;
    }
  }
}
