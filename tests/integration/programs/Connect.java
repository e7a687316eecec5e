/* Connect NAME PORT COUNT: looks up, connects to the first address; java Connect.java. */

import java.net.InetAddress;
import java.net.Socket;

class Connect {
    public static void main(String[] args) throws Exception {
        for (int i = 0; i < Integer.parseInt(args[2]); i++) {
            InetAddress first = InetAddress.getAllByName(args[0])[0];
            new Socket(first, Integer.parseInt(args[1])).close();
            new Socket(args[0], Integer.parseInt(args[1])).close();
        }
    }
}
