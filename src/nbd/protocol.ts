/**
 * Numbers of the NBD protocol: doc/proto.md of the NBD project. All integers are big-endian. Names are those of the
 * document, without the prefix NBD_.
 */

/** Greeting of a server: `NBDMAGIC`, then `IHAVEOPT`. */
export const MAGIC = 0x4e42_444d_4147_4943n;
export const OPTION_MAGIC = 0x4948_4156_454f_5054n;
/** In its place, the greeting of an old-style server. */
export const OLD_STYLE_MAGIC = 0x0000_4202_8186_1253n;
export const OPTION_REPLY_MAGIC = 0x0003_e889_0455_65a9n;

/** Handshake flags of the server, and of the client. */
export const FLAG_FIXED_NEWSTYLE = 1 << 0;
export const FLAG_NO_ZEROES = 1 << 1;

export const OPT_EXPORT_NAME = 1;
export const OPT_STARTTLS = 5;
export const OPT_GO = 7;
export const OPT_STRUCTURED_REPLY = 8;
export const OPT_EXTENDED_HEADERS = 11;

export const REP_ACK = 1;
export const REP_INFO = 3;
/** Set in the type of each reply that is an error. */
export const REP_ERROR_BIT = 0x8000_0000;
export const REP_ERR_UNSUP = 0x8000_0001;
export const REP_ERR_POLICY = 0x8000_0002;
export const REP_ERR_INVALID = 0x8000_0003;
export const REP_ERR_PLATFORM = 0x8000_0004;
export const REP_ERR_TLS_REQD = 0x8000_0005;
export const REP_ERR_UNKNOWN = 0x8000_0006;
export const REP_ERR_SHUTDOWN = 0x8000_0007;
export const REP_ERR_BLOCK_SIZE_REQD = 0x8000_0008;
export const REP_ERR_TOO_BIG = 0x8000_0009;

export const INFO_EXPORT = 0;
export const INFO_BLOCK_SIZE = 3;

/** Transmission flags: what an export supports. */
export const FLAG_HAS_FLAGS = 1 << 0;
export const FLAG_READ_ONLY = 1 << 1;
export const FLAG_SEND_FLUSH = 1 << 2;
export const FLAG_SEND_FUA = 1 << 3;
export const FLAG_SEND_TRIM = 1 << 5;
export const FLAG_SEND_WRITE_ZEROES = 1 << 6;
export const FLAG_CAN_MULTI_CONN = 1 << 8;

export const CMD_READ = 0;
export const CMD_WRITE = 1;
export const CMD_DISC = 2;
export const CMD_FLUSH = 3;
export const CMD_TRIM = 4;
export const CMD_WRITE_ZEROES = 6;

/** A command of the transmission phase. */
export type Command =
  typeof CMD_READ | typeof CMD_WRITE | typeof CMD_DISC | typeof CMD_FLUSH | typeof CMD_TRIM | typeof CMD_WRITE_ZEROES;

/** The data is durable when the command is done. */
export const CMD_FLAG_FUA = 1 << 0;
/** WRITE_ZEROES: the space stays allocated. */
export const CMD_FLAG_NO_HOLE = 1 << 1;

export const REQUEST_MAGIC = 0x2560_9513;
export const EXTENDED_REQUEST_MAGIC = 0x21e4_1c71;
export const SIMPLE_REPLY_MAGIC = 0x6744_6698;
export const STRUCTURED_REPLY_MAGIC = 0x668e_33ef;
export const EXTENDED_REPLY_MAGIC = 0x6e8a_278c;

export const REPLY_FLAG_DONE = 1 << 0;
export const REPLY_TYPE_NONE = 0;
export const REPLY_TYPE_OFFSET_DATA = 1;
export const REPLY_TYPE_OFFSET_HOLE = 2;
export const REPLY_TYPE_ERROR = 0x8001;
export const REPLY_TYPE_ERROR_OFFSET = 0x8002;
/** Set in the type of each chunk that is an error. */
export const REPLY_TYPE_ERROR_BIT = 0x8000;

/** The server is shutting down: the request was not carried out. */
export const ESHUTDOWN = 108;

/** The longest string: an export name, the text of an error. */
export const MAX_STRING = 4096;

/** The default of the longest payload that a server accepts, where it does not tell, in bytes. */
export const DEFAULT_MAXIMUM_PAYLOAD = 2 ** 25;
export const DEFAULT_PREFERRED_BLOCK = 4096;
export const DEFAULT_MINIMUM_BLOCK = 512;
/** The largest minimum block size that a server may ask for, in bytes. */
export const MAX_MINIMUM_BLOCK = 2 ** 16;

/** The port that IANA has assigned. */
export const NBD_PORT = 10_809;

/** What replies look like: the least that both ends support. */
export type ReplyForm = 'simple' | 'structured' | 'extended';
