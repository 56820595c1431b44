import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.TreeMap;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

/** Reads "key side version hex", decodes with Apache's own classes, encodes again, and compares. */
public class RoundTrip {
    static int same;
    static final TreeMap<String, String> faults = new TreeMap<>();
    static final TreeMap<String, Integer> unknown = new TreeMap<>();

    static boolean knows(ApiMessageType type, short version) {
        return version >= type.lowestSupportedVersion() && version <= type.highestSupportedVersion(true);
    }

    static void check(String line) {
        String[] words = line.split(" ");
        byte[] bytes = HexFormat.of().parseHex(words.length > 3 ? words[3] : "");
        short version = Short.parseShort(words[2]);
        String name = words[0] + " " + words[1] + " " + version;
        ApiMessageType type;
        try {
            type = ApiMessageType.fromApiKey(Short.parseShort(words[0]));
        } catch (RuntimeException gone) {
            unknown.merge(words[0], 1, Integer::sum);
            return;
        }
        if (!knows(type, version)) {
            unknown.merge(words[0] + " v" + version, 1, Integer::sum);
            return;
        }
        try {
            ApiMessage message = words[1].equals("request") ? type.newRequest() : type.newResponse();
            ByteBufferAccessor in = new ByteBufferAccessor(ByteBuffer.wrap(bytes));
            message.read(in, version);
            ObjectSerializationCache cache = new ObjectSerializationCache();
            byte[] again = new byte[message.size(cache, version)];
            message.write(new ByteBufferAccessor(ByteBuffer.wrap(again)), cache, version);
            if (in.remaining() != 0)
                faults.put(name, in.remaining() + " bytes left of " + words[3] + ": " + message);
            else if (!java.util.Arrays.equals(bytes, again))
                faults.put(name, "ours " + words[3] + " theirs " + HexFormat.of().formatHex(again) + ": " + message);
            else
                same++;
        } catch (RuntimeException refused) {
            faults.put(name, refused + " for " + (words.length > 3 ? words[3] : ""));
        }
    }

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine())
            check(line);
        faults.forEach((name, fault) -> System.out.println("fault " + name + ": " + fault));
        System.out.println("unknown " + unknown.keySet());
        System.out.println("same " + same + " faults " + faults.size());
    }
}
