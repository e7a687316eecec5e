/*
 * Everything that is known of each endpoint of a service, in C++:
 *
 *     attributes TARGET
 */

#include <arpa/inet.h>
#include <cerrno>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <k8shsvc.h>

namespace
{

struct Close {
        void operator()(k8shsvc *h) const
        {
                k8shsvc_close(h);
        }
};

using Handle = std::unique_ptr<k8shsvc, Close>;

void check(int r)
{
        if (r < 0)
                throw std::runtime_error(k8shsvc_strerror(r));
}

Handle open()
{
        k8shsvc *h = nullptr;

        check(k8shsvc_open(&h));
        return Handle(h);
}

/* The endpoints, and behind them what their offsets lead to. */
class Endpoints
{
      public:
        Endpoints(k8shsvc *h, const char *target)
        {
                size_t n_bytes = 0;
                int r;

                do {
                        rows.resize(n_bytes / sizeof(rows[0]) + 1);
                        n_bytes = rows.size() * sizeof(rows[0]);
                        r = k8shsvc_endpoints(h, target, AF_UNSPEC, sizeof(rows[0]), rows.data(), &n_bytes, &n_rows);
                } while (r == -ENOBUFS);
                check(r);
        }

        const k8shsvc_endpoint *begin() const
        {
                return rows.data();
        }

        const k8shsvc_endpoint *end() const
        {
                return rows.data() + n_rows;
        }

        const char *text(uint32_t offset) const
        {
                return offset > 0 ? reinterpret_cast<const char *>(rows.data()) + offset : "-";
        }

      private:
        std::vector<k8shsvc_endpoint> rows;
        size_t n_rows = 0;
};

} // namespace

int main(int argc, char **argv)
{
        if (argc != 2) {
                std::cerr << "usage: attributes TARGET\n";
                return 2;
        }
        try {
                Handle h = open();
                Endpoints endpoints(h.get(), argv[1]);

                for (const k8shsvc_endpoint &e : endpoints) {
                        char address[INET6_ADDRSTRLEN];

                        std::cout << inet_ntop(e.addr.family, e.addr.addr, address, sizeof(address)) << " "
                                  << e.addr.port << " " << endpoints.text(e.host) << " " << endpoints.text(e.node)
                                  << " " << endpoints.text(e.zone) << (e.conditions & K8SHSVC_READY ? " ready" : "")
                                  << "\n";
                }
        } catch (const std::exception &error) {
                std::cerr << argv[1] << ": " << error.what() << "\n";
                return 1;
        }
        return 0;
}
