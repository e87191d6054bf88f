import { answerReader, find, requestOf } from "../netlink/messages.ts";
import { createNetlinkSocket, type NetlinkSocketOptions } from "../netlink/netlink-socket.ts";

/** The number of the last change that nftables took in this network namespace, of whatever table. */
export interface Generation {
  /** Undefined where the kernel can't be asked: without the program socat, or the right to. Never rejects. */
  current(): Promise<number | undefined>;
  /** Starts what will be asked soon. */
  prepare(): void;
}

// linux/netfilter/nf_tables.h: NFT_MSG_NEWGEN and NFT_MSG_GETGEN of NFNL_SUBSYS_NFTABLES, and NFTA_GEN_ID.
const messages = { generation: 0xa0f, ask: 0xa10 } as const;
const generationId = 1;
/** Milliseconds: an answer takes one, and the start of the program some hundred where the host is busy. */
const patience = 500;

/** Asks the kernel itself: it counts each transaction that changes anything (`base_seq` in net/netfilter/nf_tables_api.c). */
export function createGeneration(options: NetlinkSocketOptions = {}): Generation {
  const socket = createNetlinkSocket({ patience, ...options });
  return {
    prepare: socket.prepare,
    current: async () => {
      let number: number | undefined;
      const outcome = await socket.ask((sequence) => ({
        request: requestOf({ type: messages.ask, of: "one", family: 0, attributes: [] }, sequence),
        take: answerReader(sequence, messages.generation, (attributes) => {
          const id = find(attributes, generationId);
          if (id?.length !== 4) return "refused";
          number = id.readUInt32BE();
          return "done";
        }),
      }));
      return outcome === "done" ? number : undefined;
    },
  };
}
