// connect.js lookup|http|fetch|resolve NAME PORT COUNT: a connection each time.

const [way, name, port, count] = process.argv.slice(2);
const dns = require("dns").promises;
const http = require("http");
const net = require("net");

const connect = (address) => new Promise((done, fail) => {
    const socket = net.connect(port, address, () => {
        socket.end();
        done();
    }).on("error", fail);
});

const ways = {
    lookup: async () => connect((await dns.lookup(name)).address),
    resolve: async () => connect((await dns.resolve4(name))[0]),
    // without an agent: each request on a connection of its own
    http: () => new Promise((done, fail) => http.get({ host: name, port, agent: false }, (response) => {
        response.resume().on("end", done);
    }).on("error", fail)),
    fetch: async () => (await fetch(`http://${name}:${port}/once`)).text(),
};

(async () => {
    for (let i = 0; i < count; i++)
        await ways[way]();
    process.exit(0);
})();
