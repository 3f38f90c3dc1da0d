/**
 * The signing service as others see it: the types of its API, and a client.
 *
 * The service itself is `src/actions/signer-service` behind the door `src/server`.
 */
export type * from "./api.ts";
export { type ServiceAddress, ServiceClient } from "./client.ts";
