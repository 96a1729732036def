/**
 * What not every page needs: transports for networks that break WebSockets, declared feeds, and
 * async iterators. Loaded when one of them is first used.
 */
export { iterate } from './iterate.js'
export { openFeedSocket as websocket } from './feed-socket.js'
export { openPoll as poll } from './poll.js'
export { openSse as sse } from './sse.js'
