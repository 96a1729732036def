/** The transports for networks that break WebSockets: loaded when one of them is first needed. */
export { openPoll as poll } from './poll.js'
export { openSse as sse } from './sse.js'
