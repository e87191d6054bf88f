import type { TestContext } from "node:test";
import { createAuditService } from "../../src/domain/audit-service.ts";
import type { KernelBan } from "../../src/domain/ban.ts";
import { createBanService } from "../../src/domain/ban-service.ts";
import type { Caller, PolicyWriteTerms } from "../../src/domain/caller.ts";
import { createConfirmationService } from "../../src/domain/confirmation-service.ts";
import { createLookService } from "../../src/domain/look-service.ts";
import { parseNetwork } from "../../src/domain/network.ts";
import { createPolicyService } from "../../src/domain/policy-service.ts";
import type { BanRequest } from "../../src/domain/services.ts";
import { createTokenService } from "../../src/domain/token-service.ts";
import { createFakeConnections } from "./fake-connections.ts";
import { createFakeEnforcer, createFakeFirewall } from "./fake-firewall.ts";
import { createFakeSurroundings } from "./fake-surroundings.ts";
import { createTestClock } from "./test-clock.ts";
import { createTestStore } from "./test-store.ts";

/** The real services on a real store, with a fake kernel. Loopback and 10.1.0.0/16 are protected; the API listens on port 7306. */
export function createTestServices(t: TestContext, { stateDirectory }: { readonly stateDirectory?: string } = {}) {
  const store = createTestStore(t, stateDirectory);
  const firewall = createFakeFirewall();
  const connections = createFakeConnections();
  const surroundings = createFakeSurroundings();
  const clock = createTestClock();
  const enforcer = createFakeEnforcer({ store, firewall, clock });
  const audit = createAuditService({ store, clock });
  const protectedNetworks = ["127.0.0.0/8", "::1", "10.1.0.0/16"].map(parseNetwork);
  const apiPorts = [7306];
  const options = { store, audit, firewall, enforcer, connections, surroundings, clock, protectedNetworks, apiPorts };
  return {
    store,
    audit,
    firewall,
    connections,
    surroundings,
    clock,
    enforcer,
    policies: createPolicyService(options),
    bans: createBanService(options),
    confirmations: createConfirmationService(options),
    look: createLookService(options),
    tokens: createTokenService(options),
    /** A ban of a minute, as the kernel makes it because of `policies`. */
    kernelBan(address: string, ...policies: readonly string[]): KernelBan {
      return { home: "cld4-test", address, policies, since: clock.now(), expiresAt: clock.now() + 60_000 };
    },
  };
}

/** What an operator asks for, with what a test wants to be different. */
export function sampleBanRequest(different: Partial<BanRequest> = {}): BanRequest {
  return { reason: "scanner", expiry: null, ...different };
}

/** The terms of `ci`, who calls from 172.16.0.99 over TCP and is no administrator, with what a test wants to be different. */
export function sampleTerms({
  caller,
  ...different
}: Partial<Omit<PolicyWriteTerms, "caller">> & { readonly caller?: Partial<Caller> } = {}): PolicyWriteTerms {
  return { caller: { actor: "ci", address: "172.16.0.99", admin: false, requestId: "request-1", ...caller }, ...different };
}

/** The same of an administrator who insists. */
export function insistingTerms(): PolicyWriteTerms {
  return sampleTerms({ caller: { actor: "admin", admin: true }, allowLockout: true });
}
