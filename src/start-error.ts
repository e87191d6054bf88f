/** The service can't start. The message is one line for the operator. */
export class StartError extends Error {
  override readonly name = "StartError";
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}
