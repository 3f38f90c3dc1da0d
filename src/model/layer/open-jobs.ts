/** Jobs under way of which none may fail unseen. */
export class OpenJobs {
  readonly #open = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  add(job: Promise<void>): void {
    const watched = job
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#open.delete(watched));
    this.#open.add(watched);
  }

  /** Throws what a job threw, if one did. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Waits for all jobs and throws what the first one to fail threw. */
  async done(): Promise<void> {
    await this.settled();
    this.check();
  }

  async settled(): Promise<void> {
    while (this.#open.size > 0) await Promise.all(this.#open);
  }

  /** Waits until fewer than `count` jobs are open, and throws like `check`. */
  async below(count: number): Promise<void> {
    while (this.#open.size >= count) await Promise.race(this.#open);
    this.check();
  }
}
