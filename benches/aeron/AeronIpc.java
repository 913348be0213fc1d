import io.aeron.Aeron;
import io.aeron.CommonContext;
import io.aeron.Publication;
import io.aeron.Subscription;
import io.aeron.driver.MediaDriver;
import io.aeron.driver.ThreadingMode;
import io.aeron.logbuffer.FragmentHandler;
import java.util.Arrays;
import org.agrona.DirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/** Aeron's IPC transport with messages of 64 bytes, header included: half a round trip, and messages a second. Prints `p50 p99 p99.9 M/s`, times in ns. */
public final class AeronIpc {
    /** With Aeron's header of 32 bytes a message takes 64, one cache line, as an LTP tick does in the ring. */
    private static final int BYTES = 32;

    public static void main(String[] arguments) throws Exception {
        int rounds = Integer.parseInt(arguments[0]);
        MediaDriver.Context context = new MediaDriver.Context()
            .aeronDirectoryName(CommonContext.getAeronDirectoryName() + "-bench-" + ProcessHandle.current().pid())
            .threadingMode(ThreadingMode.SHARED)
            .ipcTermBufferLength(1024 * 1024)
            .dirDeleteOnStart(true)
            .dirDeleteOnShutdown(true);
        try (MediaDriver driver = MediaDriver.launchEmbedded(context);
             Aeron aeron = Aeron.connect(new Aeron.Context().aeronDirectoryName(driver.aeronDirectoryName()))) {
            long[] times = roundTrips(aeron, rounds);
            double rate = throughput(aeron, rounds * 10L);
            Arrays.sort(times);
            System.out.printf("%d %d %d %.2f%n", at(times, 0.5), at(times, 0.99), at(times, 0.999), rate);
        }
    }

    private static long at(long[] sorted, double quantile) {
        return sorted[(int) (sorted.length * quantile)] / 2;
    }

    private static long[] roundTrips(Aeron aeron, int rounds) throws Exception {
        long[] times = new long[rounds];
        int warmUp = rounds / 4;
        try (Publication there = aeron.addExclusivePublication("aeron:ipc", 1);
             Subscription thereIn = aeron.addSubscription("aeron:ipc", 1);
             Publication back = aeron.addExclusivePublication("aeron:ipc", 2);
             Subscription backIn = aeron.addSubscription("aeron:ipc", 2)) {
            await(there, thereIn);
            await(back, backIn);
            Thread echo = new Thread(() -> {
                FragmentHandler answer = (buffer, offset, length, header) -> offer(back, buffer, offset);
                for (long seen = 0; seen < warmUp + rounds; ) seen += thereIn.poll(answer, 1);
            });
            echo.start();
            UnsafeBuffer message = new UnsafeBuffer(new byte[BYTES]);
            FragmentHandler nothing = (buffer, offset, length, header) -> { };
            for (int round = -warmUp; round < rounds; round++) {
                long start = System.nanoTime();
                while (there.offer(message) < 0) Thread.onSpinWait();
                while (backIn.poll(nothing, 1) == 0) { }
                if (round >= 0) times[round] = System.nanoTime() - start;
            }
            echo.join();
        }
        return times;
    }

    private static void offer(Publication publication, DirectBuffer buffer, int offset) {
        while (publication.offer(buffer, offset, BYTES) < 0) Thread.onSpinWait();
    }

    private static double throughput(Aeron aeron, long total) throws Exception {
        try (Publication out = aeron.addExclusivePublication("aeron:ipc", 3);
             Subscription in = aeron.addSubscription("aeron:ipc", 3)) {
            await(out, in);
            long[] end = new long[1];
            Thread reader = new Thread(() -> {
                long[] sum = new long[1];
                FragmentHandler read = (buffer, offset, length, header) -> sum[0] += buffer.getLong(offset + 24);
                for (long seen = 0; seen < total; ) seen += in.poll(read, 256);
                end[0] = System.nanoTime() + (sum[0] == 1 ? 1 : 0);
            });
            reader.start();
            UnsafeBuffer message = new UnsafeBuffer(new byte[BYTES]);
            long start = System.nanoTime();
            for (long sent = 0; sent < total; ) {
                if (out.offer(message) >= 0) sent++;
                else Thread.onSpinWait();
            }
            reader.join();
            return total * 1e3 / (end[0] - start);
        }
    }

    private static void await(Publication publication, Subscription subscription) throws InterruptedException {
        while (!publication.isConnected() || !subscription.isConnected()) Thread.sleep(1);
    }
}
