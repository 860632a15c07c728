/**
 * The controller of generic netlink, family `nlctrl`: describes families and their policies. net/netlink/genetlink.c
 */
import {
  CTRL_ATTR_FAMILY_ID,
  CTRL_ATTR_FAMILY_NAME,
  CTRL_ATTR_HDRSIZE,
  CTRL_ATTR_MAXATTR,
  CTRL_ATTR_MCAST_GROUPS,
  CTRL_ATTR_MCAST_GRP_ID,
  CTRL_ATTR_MCAST_GRP_NAME,
  CTRL_ATTR_OP,
  CTRL_ATTR_OPS,
  CTRL_ATTR_OP_FLAGS,
  CTRL_ATTR_OP_ID,
  CTRL_ATTR_OP_POLICY,
  CTRL_ATTR_POLICY,
  CTRL_ATTR_POLICY_DO,
  CTRL_ATTR_POLICY_DUMP,
  CTRL_ATTR_VERSION,
  CTRL_CMD_GETFAMILY,
  CTRL_CMD_GETPOLICY,
  CTRL_CMD_NEWFAMILY,
  GENL_ADMIN_PERM,
  GENL_CMD_CAP_DO,
  GENL_CMD_CAP_DUMP,
  GENL_CMD_CAP_HASPOL,
  GENL_ID_CTRL,
  GENL_NAMSIZ,
} from '../../netlink/genl-constants.js';
import { Errno } from '../../sys/errno.js';
import type { Family, GenlRequest, Operation } from './genetlink.js';
import type { MessageBuffer } from './message-buffer.js';
import type { Dump } from './socket.js';
import { writeAttributePolicy } from './attribute-policy.js';
import type { AttributePolicy } from './attribute-policy.js';
import type { Policy } from './policy.js';
import { Refusal } from './refusal.js';

const familyAttributes = {
  [CTRL_ATTR_FAMILY_ID]: { kind: 'u16' },
  [CTRL_ATTR_FAMILY_NAME]: { kind: 'nul-string', maxLength: GENL_NAMSIZ - 1 },
} as const satisfies Policy['attributes'];

const familyPolicy: Policy = { maxType: CTRL_ATTR_FAMILY_NAME, attributes: familyAttributes };
const policyPolicy: Policy = {
  maxType: CTRL_ATTR_OP,
  attributes: { ...familyAttributes, [CTRL_ATTR_OP]: { kind: 'u32' } },
};

/** Creates the controller of these families and of itself; returns all of them, itself first. */
export function withController(families: readonly Family[]): Family[] {
  const controller: Family = {
    id: GENL_ID_CTRL,
    name: 'nlctrl',
    version: 2,
    maxAttribute: 0,
    reservedStart: CTRL_CMD_GETPOLICY + 1,
    operations: [
      {
        command: CTRL_CMD_GETFAMILY,
        privileged: false,
        do: {
          policy: familyPolicy,
          strictness: 'liberal',
          run: (request) => {
            getFamily(all, request);
          },
        },
        dump: { policy: familyPolicy, strictness: 'strict', run: (request) => dumpFamilies(all, request) },
      },
      {
        command: CTRL_CMD_GETPOLICY,
        privileged: false,
        dump: { policy: policyPolicy, strictness: 'strict', run: (request) => dumpPolicy(all, request) },
      },
    ],
    multicastGroups: [{ id: GENL_ID_CTRL, name: 'notify' }],
  };
  const all = [controller, ...families];
  return all;
}

function getFamily(families: readonly Family[], request: GenlRequest): void {
  const id = request.attributes.u16(CTRL_ATTR_FAMILY_ID);
  const name = request.attributes.cString(CTRL_ATTR_FAMILY_NAME);
  if (id === undefined && name === undefined) request.refuse(Errno.EINVAL);
  // The name takes precedence.
  const family = families.find((candidate) => (name === undefined ? candidate.id === id : candidate.name === name));
  if (family === undefined) request.refuse(Errno.ENOENT);
  request.reply(CTRL_CMD_NEWFAMILY, (buffer) => {
    writeFamily(buffer, family);
  });
}

function dumpFamilies(families: readonly Family[], request: GenlRequest): Dump {
  let next = 0;
  return (buffer) => {
    for (let family = families[next]; family !== undefined; family = families[++next]) {
      const shown = family;
      const fits = request.part(buffer, CTRL_CMD_NEWFAMILY, () => {
        writeFamily(buffer, shown);
      });
      if (!fits && buffer.length === 0) throw new Refusal(Errno.EMSGSIZE);
      if (!fits) return 'more';
    }
    return 'done';
  };
}

function writeFamily(buffer: MessageBuffer, family: Family): void {
  buffer.string(CTRL_ATTR_FAMILY_NAME, family.name);
  buffer.u16(CTRL_ATTR_FAMILY_ID, family.id);
  buffer.u32(CTRL_ATTR_VERSION, family.version);
  buffer.u32(CTRL_ATTR_HDRSIZE, 0);
  buffer.u32(CTRL_ATTR_MAXATTR, family.maxAttribute);
  buffer.unflaggedNest(CTRL_ATTR_OPS, () => {
    for (const [index, operation] of family.operations.entries()) {
      buffer.unflaggedNest(index + 1, () => {
        buffer.u32(CTRL_ATTR_OP_ID, operation.command);
        buffer.u32(CTRL_ATTR_OP_FLAGS, operationFlags(operation));
      });
    }
  });
  if (family.multicastGroups.length === 0) return;
  buffer.unflaggedNest(CTRL_ATTR_MCAST_GROUPS, () => {
    for (const [index, { id, name }] of family.multicastGroups.entries()) {
      buffer.unflaggedNest(index + 1, () => {
        buffer.u32(CTRL_ATTR_MCAST_GRP_ID, id);
        buffer.string(CTRL_ATTR_MCAST_GRP_NAME, name);
      });
    }
  });
}

/** Every operation has a policy. */
function operationFlags(operation: Operation): number {
  let flags = GENL_CMD_CAP_HASPOL;
  if (operation.privileged) flags |= GENL_ADMIN_PERM;
  if (operation.do !== undefined) flags |= GENL_CMD_CAP_DO;
  if (operation.dump !== undefined) flags |= GENL_CMD_CAP_DUMP;
  return flags;
}

function dumpPolicy(families: readonly Family[], request: GenlRequest): Dump {
  const id = request.attributes.u16(CTRL_ATTR_FAMILY_ID);
  const name = request.attributes.cString(CTRL_ATTR_FAMILY_NAME);
  if (id === undefined && name === undefined) request.refuse(Errno.EINVAL);
  // The number takes precedence.
  const family = families.find((candidate) => (id === undefined ? candidate.name === name : candidate.id === id));
  if (family === undefined) request.refuse(Errno.ENOENT);
  const operations = chosenOperations(family, request);

  const policies: Policy[] = [];
  const index = (policy: Policy): number => {
    const known = policies.indexOf(policy);
    return known === -1 ? policies.push(policy) - 1 : known;
  };
  const parts: ((buffer: MessageBuffer) => void)[] = operations.map((operation) => {
    const indexOfDo = operation.do && index(operation.do.policy);
    const indexOfDump = operation.dump && index(operation.dump.policy);
    return (buffer) => {
      buffer.nested(CTRL_ATTR_OP_POLICY, () => {
        buffer.nested(operation.command, () => {
          if (indexOfDo !== undefined) buffer.u32(CTRL_ATTR_POLICY_DO, indexOfDo);
          if (indexOfDump !== undefined) buffer.u32(CTRL_ATTR_POLICY_DUMP, indexOfDump);
        });
      });
    };
  });
  for (const [policyIndex, policy] of policies.entries()) {
    for (const [type, described] of describedAttributes(policy)) {
      parts.push((buffer) => {
        buffer.nested(CTRL_ATTR_POLICY, () => {
          buffer.nested(policyIndex, () => {
            buffer.nested(type, () => {
              writeAttributePolicy(buffer, described);
            });
          });
        });
      });
    }
  }
  return dumpParts(parts, family, request);
}

/** The requested operation, or all. */
function chosenOperations(family: Family, request: GenlRequest): readonly Operation[] {
  const command = request.attributes.u32(CTRL_ATTR_OP);
  if (command === undefined) return family.operations;
  const operation = family.operations.find((candidate) => candidate.command === command);
  if (operation !== undefined) return [operation];
  const start = request.attributes.start(CTRL_ATTR_OP);
  if (start !== undefined) request.extack.offset = start - request.netlink.start;
  return request.refuse(Errno.ENOENT);
}

function describedAttributes(policy: Policy): [type: number, described: AttributePolicy][] {
  const described: [number, AttributePolicy][] = [];
  for (let type = 0; type <= policy.maxType; type++) {
    const attribute = policy.attributes[type];
    if (attribute !== undefined) described.push([type, attribute]);
  }
  return described;
}

function dumpParts(parts: readonly ((buffer: MessageBuffer) => void)[], family: Family, request: GenlRequest): Dump {
  let next = 0;
  return (buffer) => {
    for (let part = parts[next]; part !== undefined; part = parts[++next]) {
      const write = part;
      const fits = request.part(buffer, CTRL_CMD_GETPOLICY, () => {
        buffer.u16(CTRL_ATTR_FAMILY_ID, family.id);
        write(buffer);
      });
      if (!fits) break;
    }
    return buffer.length > 0 ? 'more' : 'done';
  };
}
