/** A transport that could not be opened. `missing`: the gateway, or this browser, does not have it. */
export class TransportFailure extends Error {
  constructor(message, missing = false) {
    super(message);
    this.missing = missing;
  }
}
